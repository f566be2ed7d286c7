from catalog.models import Category
from catalog.popularity import most_viewed


def shelves(request):
    """What fragments of any page may need. Neither is worked out unless its fragment is missing from the cache."""
    return {"categories": Category.objects.all, "most_viewed": most_viewed}
