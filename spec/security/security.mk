OTHER_C += $(wildcard spec/security/*.c)
