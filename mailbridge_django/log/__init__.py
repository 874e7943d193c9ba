"""What became of the mail, kept in the database and shown in the admin: `"mailbridge_django.log"` in INSTALLED_APPS."""
