# Sourced by mopl and its scripts, with $project set: where the parts of MOPL are that are not below $project. This is the source tree's;
# `make install` writes one with the same names in its place.
# shellcheck shell=bash
programs=$project/build/release/bin
worker_programs=$(cd "$project/workers" && printf '%s ' *.c | sed 's/[a-z_]*-[a-z_]*\.c //g; s/\.c / /g')
viewer=$project/build/vendor/swagger-ui
vendor=$project/build/vendor  # what `mopl up --kafka` and `--search` fetch
default_data=$project/var
default_settings=$project/var/settings.env  # of an instance in default_data
is_installed=  # yes: packages are the administrator's, and systemd may be in charge
