# Many payments, some of which fail:   make soak (CALLS=1000000, TRANSPORT=TLS, HTTP2 or PLAIN)

.PHONY: soak
soak: $(CORE)
	@$(BENCH_ENVIRONMENT) SERVERS=spec/soak/server SERVER=soak bench/with_server spec/soak/run
