from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("dcache_manager", "0002_fleet")]

    operations = [
        migrations.AddIndex("nodesample", models.Index(fields=["fleet", "at"], name="dcache_sample_at")),
    ]
