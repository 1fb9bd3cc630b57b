"""The plugins that come with Visavis. They arrive by the road that strangers' plugins take."""
