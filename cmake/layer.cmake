# finback_layer(NAME [LIBRARY...]): the static library finback_NAME from src/NAME/*.c, which may use
# the libraries given.
function(finback_layer name)
	file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.c")
	add_library(finback_${name} STATIC ${sources})
	target_include_directories(finback_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include")
	target_link_libraries(finback_${name} PUBLIC ${ARGN})
endfunction()
