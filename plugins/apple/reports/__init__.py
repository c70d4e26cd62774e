"""Apple's sales and financial reports: fetched from App Store Connect or brought by a person, and read into lines."""
