# finbackctl, the operator's command: all of it but main() as a library, which its tests link, too;
# then its completions for bash and zsh.

pkg_check_modules(LIBCURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(NCURSESW REQUIRED IMPORTED_TARGET ncursesw)

file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/finbackctl/*.c")
list(REMOVE_ITEM sources "${PROJECT_SOURCE_DIR}/src/finbackctl/main.c")
add_library(finback_finbackctl STATIC ${sources})
target_link_libraries(finback_finbackctl PUBLIC
	finback_engine PkgConfig::LIBCURL PkgConfig::JANSSON PkgConfig::NCURSESW m
)

add_executable(finbackctl src/finbackctl/main.c)
target_link_libraries(finbackctl PRIVATE finback_finbackctl)

install(TARGETS finbackctl DESTINATION "${CMAKE_INSTALL_FULL_BINDIR}")
install(
	FILES completions/finbackctl.bash
	DESTINATION "${CMAKE_INSTALL_FULL_DATAROOTDIR}/bash-completion/completions"
	RENAME finbackctl
)
install(
	FILES completions/_finbackctl
	DESTINATION "${CMAKE_INSTALL_FULL_DATAROOTDIR}/zsh/vendor-completions"
)
