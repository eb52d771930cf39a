# What `make lint-all` and `make format` look at here.
OTHER_C += $(wildcard spec/retry/*.c)
