# Compiler and linker flags for every target: warnings, then sanitizers or hardening.
# CMAKE_COMPILE_WARNING_AS_ERROR adds -Werror.

include(CheckCSourceCompiles)

# Assertions stay in a release: a broken invariant must not go on to relay wrong bytes.
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

add_compile_options(
	-Wall
	-Wextra
	-Wshadow
	-Wstrict-prototypes
	-Wmissing-prototypes
	-Wconversion
	-Wno-sign-conversion
	-Wformat=2
	-Wundef
	-Wvla
	-Wpointer-arith
	-Wcast-qual
	-Wwrite-strings
)

function(finback_sanitize sanitizers)
	add_compile_options(
		-O1
		-fno-omit-frame-pointer
		-fsanitize=${sanitizers}
		-fno-sanitize-recover=all
	)
	# gcc judges ranges and conversions after it has put the sanitizers' checks in, and is misled
	# by them: the warnings are for the builds without.
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
		add_compile_options(-w)
	endif()
	add_link_options(-fsanitize=${sanitizers})
endfunction()

# Level 3 of fortify where compiler and libc know it; they warn where they do not.
function(finback_fortify)
	set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
	check_c_source_compiles(
		"#include <string.h>\nint main(void) { return (int)strlen(\"\"); }"
		FINBACK_HAS_FORTIFY_3
	)
	if(FINBACK_HAS_FORTIFY_3)
		add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
	else()
		add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
	endif()
endfunction()

function(finback_harden)
	finback_fortify()
	add_compile_options(-fstack-protector-strong -fstack-clash-protection -fPIE)
	if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i[3-6]86)$")
		add_compile_options(-fcf-protection)
	endif()
	add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endfunction()

# A message passes through small functions of several layers: as a whole program a tenth fewer
# instructions. The objects have ordinary code, too, for the tests, whose links would take minutes.
function(finback_optimise_whole)
	if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
		add_compile_options(-flto=auto -ffat-lto-objects)
		set(FINBACK_PLAIN -fno-lto -fno-use-linker-plugin PARENT_SCOPE)
	endif()
endfunction()

# Functions set directory properties, and a function has no directory of its own.
if(FINBACK_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "FINBACK_FUZZ needs clang, not ${CMAKE_C_COMPILER_ID}")
	endif()
	finback_sanitize(fuzzer-no-link,address,undefined)
elseif(FINBACK_SANITIZE)
	finback_sanitize(${FINBACK_SANITIZE})
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	finback_harden()
	finback_optimise_whole()
endif()
