"""The chat page: its files, and the interface that it alone uses, /page/v1.

Needs the extra `server`; nobody imports it before it is used. docs/design/page.md describes the interface.
"""
