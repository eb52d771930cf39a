module payment-records/bench

go 1.22

require github.com/stripe/stripe-go/v86 v86.2.0
