# The manual pages, made of man/NAME.SECTION.scd where scdoc is there to do it. Without it everything
# else is built and installed all the same.

find_program(FINBACK_SCDOC scdoc DOC "Makes the manual pages; in Debian: apt-get install scdoc")
mark_as_advanced(FINBACK_SCDOC)

# finback_man(PAGE...): builds and installs pages, e.g. finback.8.
function(finback_man)
	foreach(page IN LISTS ARGN)
		set(source "${PROJECT_SOURCE_DIR}/man/${page}.scd")
		set(made "${PROJECT_BINARY_DIR}/man/${page}")
		cmake_path(GET page EXTENSION LAST_ONLY section)
		string(REPLACE "." "man" folder "${section}")
		add_custom_command(
			OUTPUT "${made}"
			COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/man"
			COMMAND "${FINBACK_SCDOC}" < "${source}" > "${made}"
			DEPENDS "${source}"
			COMMENT "Making ${page}"
		)
		list(APPEND pages "${made}")
		install(FILES "${made}" DESTINATION "${CMAKE_INSTALL_FULL_MANDIR}/${folder}")
	endforeach()
	add_custom_target(man ALL DEPENDS ${pages})
endfunction()

if(FINBACK_SCDOC)
	finback_man(finback.8 finback.conf.5 finback-api.7 finbackctl.8)
else()
	message(STATUS "no scdoc: the manual pages are left out")
endif()
