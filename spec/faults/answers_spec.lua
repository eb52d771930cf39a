--- Faults of the network (faults_spec.lua): answers that are cut, late, framed in a wrong or an odd way, or too large.

require "spec.faults.part" "answers_spec"
