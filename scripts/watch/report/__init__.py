"""What applications cost and how well they work, over 7 and 30 days: tables, files and a page with plots."""
