--- Faults of the network (faults_spec.lua): requests on their way, and successes whose body is not what was asked for.

require "spec.faults.part" "requests_spec"
