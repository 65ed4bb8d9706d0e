"""What receivers of your own can wait for. All are sent after the commit; what a receiver raises is logged.

``sender`` is `django_rokka.models.SourceImage` in each.
"""

from django.dispatch import Signal

#: A picture has another hash. ``old`` and ``new`` are mirror rows, ``row`` the only row that moved, or
#: ``None`` when all that held ``old`` did.
source_image_rehashed = Signal()

#: Rows show a picture that is gone, and nothing could take its place. ``image`` is the mirror's row; its
#: ``broken`` tells why.
source_image_broken = Signal()
