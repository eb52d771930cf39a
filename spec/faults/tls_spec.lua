--- Faults of the network (faults_spec.lua): TLS that cannot be trusted, breaks, or is not spoken.

require "spec.faults.part" "tls_spec"
