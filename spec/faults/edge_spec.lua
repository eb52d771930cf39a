--- Faults of the network (faults_spec.lua): answers of somebody on the way.

require "spec.faults.part" "edge_spec"
