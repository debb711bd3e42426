"""The viewer: server-rendered pages at the addresses that the SDKs print. Imported with the first page."""
