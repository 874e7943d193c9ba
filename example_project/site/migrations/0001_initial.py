"""The members."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One table."""

    initial = True
    operations = [
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("confirmed", models.BooleanField(default=False)),
                ("active", models.BooleanField(default=True)),
            ],
        ),
    ]
