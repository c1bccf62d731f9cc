# Where things go. The full directories, because with the prefix /usr the configuration belongs to
# /etc and not to /usr/etc.

set(finback_conf_dir "${CMAKE_INSTALL_FULL_SYSCONFDIR}/finback")
set(finback_unit_dir "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")

# The units name the paths of a package; another prefix gets them with its own.
function(finback_install_unit name)
	set(source "${PROJECT_SOURCE_DIR}/systemd/${name}")
	set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
	file(READ "${source}" text)
	string(REPLACE "/usr/sbin/finback" "${CMAKE_INSTALL_FULL_SBINDIR}/finback" text "${text}")
	string(REPLACE "/usr/bin/finbackctl" "${CMAKE_INSTALL_FULL_BINDIR}/finbackctl" text "${text}")
	string(REPLACE "/etc/finback/" "${finback_conf_dir}/" text "${text}")
	file(WRITE "${PROJECT_BINARY_DIR}/systemd/${name}" "${text}")
	install(FILES "${PROJECT_BINARY_DIR}/systemd/${name}" DESTINATION "${finback_unit_dir}")
endfunction()

install(TARGETS finback DESTINATION "${CMAKE_INSTALL_FULL_SBINDIR}")
install(
	FILES README.md CHANGELOG.md conf/finback.conf
	DESTINATION "${CMAKE_INSTALL_FULL_DOCDIR}"
)
# For Prometheus and Grafana: to be looked at, changed and copied where they belong.
install(
	FILES conf/prometheus/prometheus.yml conf/prometheus/finback.rules.yml
	DESTINATION "${CMAKE_INSTALL_FULL_DOCDIR}/examples/prometheus"
)
install(
	FILES conf/grafana/finback.json
	DESTINATION "${CMAKE_INSTALL_FULL_DOCDIR}/examples/grafana"
)
finback_install_unit(finback.service)
finback_install_unit(finback.socket)

# An operator's own file is never written over; the one just installed as documentation is the
# newest to compare it with.
install(CODE "
	if(NOT EXISTS \"\$ENV{DESTDIR}${finback_conf_dir}/finback.conf\")
		file(INSTALL \"${PROJECT_SOURCE_DIR}/conf/finback.conf\"
			DESTINATION \"${finback_conf_dir}\")
	endif()
")
