from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dcache_manager", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Fleet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))
            ],
            options={
                "managed": False,
                "default_permissions": ["view"],
                "permissions": [
                    ("view_key", "Can look at keys of a fleet"),
                    ("start_job", "Can start a resize of a fleet"),
                    ("pause_job", "Can pause a job of a fleet"),
                    ("resume_job", "Can resume a job of a fleet"),
                    ("cancel_job", "Can cancel a job of a fleet"),
                    ("retry_job", "Can retry a job of a fleet"),
                ],
            },
        ),
    ]
