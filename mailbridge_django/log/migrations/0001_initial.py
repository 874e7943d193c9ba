"""The first table: deliveries."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("when", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("accepted", "accepted"),
                            ("deferred", "deferred"),
                            ("rejected", "rejected"),
                            ("not_sent", "not sent"),
                            ("unknown", "unknown"),
                        ],
                        max_length=16,
                    ),
                ),
                ("recipient", models.CharField(max_length=320)),
                ("domain", models.CharField(blank=True, max_length=255)),
                ("code", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("enhanced", models.CharField(blank=True, max_length=16, verbose_name="enhanced code")),
                ("text", models.CharField(blank=True, max_length=500)),
                ("queue_id", models.CharField(blank=True, max_length=100, verbose_name="queue id")),
                ("message_id", models.CharField(blank=True, max_length=255, verbose_name="Message-ID")),
                ("alias", models.CharField(blank=True, max_length=100, verbose_name="mailer")),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "ordering": ("-when", "-pk"),
                "indexes": [
                    models.Index(fields=["when"], name="mailbridge_log_when"),
                    models.Index(fields=["state", "when"], name="mailbridge_log_state"),
                    models.Index(fields=["domain", "when"], name="mailbridge_log_domain"),
                ],
            },
        ),
    ]
