--- Faults of the network (faults_spec.lua): connections that do not come about, or not for long; proxies on the way.

require "spec.faults.part" "connecting_spec"
