# Included by the Makefile: installing what was built, and the Debian package.

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib/mopl
SHAREDIR ?= $(PREFIX)/share/mopl
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/mopl
# Where systemd and its kin look for what an administrator, or a package (PREFIX=/usr), installs.
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
LOGROTATEDIR ?= /etc/logrotate.d
SETTINGSDIR ?= /etc/mopl
STATEDIR ?= /var/lib/mopl
INSTALL_PROGRAM ?= install -m 755 -s

MAN := build/man
$(MAN)/.written: packaging/man.sh lib/conf.def mopl VERSION $(PROGRAMS)
	@rm -rf $(MAN)
	@packaging/man.sh $(MAN) $(B)/bin
	@touch $@
.PHONY: man
man: $(MAN)/.written ## write the manual pages into build/man

# What scripts/paths.sh says in an installation. Below a folder that is staged or moved as a whole everything still finds its parts.
define INSTALLED_PATHS
# Sourced by mopl and its scripts, with $$project set: where the parts of MOPL are that are not below $$project. Written by `make install`.
# shellcheck shell=bash
programs=$$(realpath -m "$$project/$(shell realpath -m --relative-to=$(SHAREDIR) $(LIBDIR))/bin")
worker_programs="$(strip $(WORKERS)) "
viewer=$$project/docs/swagger-ui
vendor=$${MOPL_DATA:-$(STATEDIR)}/vendor  # what `mopl up --kafka` and `--search` fetch
default_data=$(STATEDIR)
default_settings=$(SETTINGSDIR)/settings.env  # of an instance in default_data
is_installed=yes  # packages are the administrator's, and systemd may be in charge
endef
export INSTALLED_PATHS

UNITS := $(wildcard packaging/systemd/mopl*)
FILL := sed -e '/^@HARDENED@$$/{r packaging/systemd/hardened.conf' -e 'd}'
FILL_NAMES := sed -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@DATA@|$(STATEDIR)|g' -e 's|@SETTINGSDIR@|$(SETTINGSDIR)|g' \
	-e 's|@RESPONDERS@|$(RESPONDERS:%=mopl-responder@%.service)|g' -e 's|@WORKERS@|$(WORKERS:%=mopl-worker@%.service)|g'
INSTALLED_SCRIPTS := $(filter-out scripts/paths.sh scripts/run.sh scripts/s3.sh,$(wildcard scripts/*.sh))

# Compiles nothing that is compiled, fetches nothing. The viewer of the API's documentation goes along if `make viewer` was called before.
.PHONY: install uninstall
install: build man ## install below PREFIX (/usr/local), staged below DESTDIR if that is set; `make viewer` before adds /docs/
	@umask 022; set -e; D='$(DESTDIR)'; \
	install -d $$D$(BINDIR) $$D$(LIBDIR)/bin $$D$(SHAREDIR)/{scripts/search,sql,data,docs} $$D$(DOCDIR) $$D$(UNITDIR) $$D$(SYSUSERSDIR) \
		$$D$(TMPFILESDIR) $$D$(LOGROTATEDIR) $$D$(MANDIR)/man1 $$D$(MANDIR)/man5; \
	$(INSTALL_PROGRAM) $(PROGRAMS) $$D$(LIBDIR)/bin; \
	install -m 755 mopl $$D$(SHAREDIR)/mopl; \
	ln -sfn $$(realpath -m --relative-to=$(BINDIR) $(SHAREDIR))/mopl $$D$(BINDIR)/mopl; \
	install -m 644 VERSION packaging/settings.env $$D$(SHAREDIR); \
	for f in $(INSTALLED_SCRIPTS); do install -m $$([ -x $$f ] && echo 755 || echo 644) $$f $$D$(SHAREDIR)/scripts; done; \
	install -m 644 scripts/kafka-pom.xml scripts/kafka.sha256 $$D$(SHAREDIR)/scripts; \
	install -m 644 scripts/search/* $$D$(SHAREDIR)/scripts/search; \
	printf '%s\n' "$$INSTALLED_PATHS" >$$D$(SHAREDIR)/scripts/paths.sh; \
	for part in lighttpd sql/migrations data/catalogue docs/viewer monitoring; do \
		(cd $$part && find . -type f ! -name '*.mjs' -exec install -D -m 644 {} $$D$(SHAREDIR)/$$part/{} \;); done; \
	install -m 644 docs/openapi.yaml $$D$(SHAREDIR)/docs; \
	if [ -e $(VIEWER)/.installed ]; then install -d $$D$(SHAREDIR)/docs/swagger-ui; \
		for f in $(VIEWER)/*.js $(VIEWER)/*.css $(VIEWER)/*.png; do install -m 644 $$f $$D$(SHAREDIR)/docs/swagger-ui; done; fi; \
	install -m 644 README.md docs/*.md $$D$(DOCDIR); \
	install -d $$D$(DOCDIR)/decisions; install -m 644 docs/decisions/*.md $$D$(DOCDIR)/decisions; install -d $$D$(DOCDIR)/ops; install -m 644 docs/ops/*.md $$D$(DOCDIR)/ops; \
	for page in $(MAN)/*.1; do install -m 644 $$page $$D$(MANDIR)/man1; done; install -m 644 $(MAN)/*.5 $$D$(MANDIR)/man5; \
	for unit in $(UNITS); do $(FILL) $$unit | $(FILL_NAMES) >$$D$(UNITDIR)/$${unit##*/}; done; \
	$(FILL_NAMES) packaging/sysusers.conf >$$D$(SYSUSERSDIR)/mopl.conf; \
	$(FILL_NAMES) packaging/tmpfiles.conf >$$D$(TMPFILESDIR)/mopl.conf; \
	$(FILL_NAMES) packaging/logrotate >$$D$(LOGROTATEDIR)/mopl
	@[ -n '$(DESTDIR)' ] || echo 'Installed. mopl up starts it here and now; under systemd: systemd-sysusers && systemd-tmpfiles --create && systemctl enable --now mopl.target'

uninstall: ## remove what `make install` with the same PREFIX installed; settings and data stay
	@D='$(DESTDIR)'; rm -rf $$D$(LIBDIR) $$D$(SHAREDIR) $$D$(DOCDIR); \
	rm -f $$D$(BINDIR)/mopl $$D$(MANDIR)/man1/mopl{,-*}.1 $$D$(MANDIR)/man5/mopl.settings.5 $(UNITS:packaging/systemd/%=$$D$(UNITDIR)/%) \
		$$D$(SYSUSERSDIR)/mopl.conf $$D$(TMPFILESDIR)/mopl.conf $$D$(LOGROTATEDIR)/mopl

# The package, with its description, in build/deb. It is made of what is built, in a copy of the sources, so that nothing is left here.
.PHONY: deb
deb: build viewer man ## make the Debian package in build/deb
	@packaging/deb.sh build/deb

.PHONY: test-deb
test-deb: deb ## install the package in a bare root, use it, replace it, purge it (as root; two minutes, not part of make test)
	@tests/package-root.sh
