"""The pages of a fleet in Django's admin. What they show they ask of the services that commands ask too."""
