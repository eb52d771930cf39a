--- Faults of the network (faults_spec.lua): answers of Stripe's that are no success.

require "spec.faults.part" "statuses_spec"
