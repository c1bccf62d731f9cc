# The status page is part of finback_admin: the assembler puts the file in where page.c says so, and
# page.c is compiled again when it changes.
set(page_source "${PROJECT_SOURCE_DIR}/src/admin/page.c")
set(page_html "${PROJECT_SOURCE_DIR}/src/admin/page.html")
set_property(SOURCE "${page_source}" APPEND PROPERTY OBJECT_DEPENDS "${page_html}")
set_property(SOURCE "${page_source}" APPEND PROPERTY
	COMPILE_DEFINITIONS "PAGE_HTML=\"${page_html}\"")
