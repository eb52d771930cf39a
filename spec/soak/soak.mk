# Many payments, some of which fail:   make soak (CALLS=1000000, TRANSPORT=TLS, HTTP2 or PLAIN)

SOAK_HEAP = $(BUILD)/soak/heap.so
$(SOAK_HEAP): spec/soak/heap.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -shared -o $@ $<

.PHONY: soak
soak: $(CORE) $(SOAK_HEAP)
	@$(BENCH_ENVIRONMENT) SERVERS=spec/soak/server SERVER=soak bench/with_server spec/soak/run
