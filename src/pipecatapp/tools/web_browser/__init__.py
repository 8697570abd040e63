"""``web_browser.*``: pages of the web, in a Chromium that reaches nothing in the house (docs/howto/browse-the-web.md).

Chromium (``browser``) has one tab for each conversation (``tab``) and one way out, a proxy of ours (``proxy``) that
asks ``addresses`` about every connection. ``page_snapshot.js`` reads the page in a world of its own.
"""
