# Draws the curves of bench/run_scaling:   gnuplot -e "directory='...'; output='...'" bench/scaling.gp
set terminal svg size 1200, 1000 dynamic enhanced font "sans-serif,12" background "white"
set output output
set multiplot layout 3, 2
set logscale xy
set grid
set key top left
set style data linespoints
set ylabel "CPU time, µs"
file(name) = directory . "/" . name . ".curve"

set title "A call, by calls queued at once"
set xlabel "calls started at once, 64 of them in flight"
set yrange [10:1000]
plot file("queued") title "start and complete"

set title "A call, by calls in flight"
set xlabel "calls in flight"
plot file("flight_bare") title "bare libcurl, HTTP/1.1 over TLS", \
  file("flight_tls") title "HTTP/1.1 over TLS", file("flight_http2") title "HTTP/2 over TLS"

set title "A call, by the size of the answer"
set xlabel "kB"
set yrange [*:*]
plot file("answer") title "list\\_payment\\_records"

set title "Check and encoding, by metadata keys"
set xlabel "keys"
unset logscale
set yrange [0:*]
plot file("metadata") title "report\\_payment"

set title "encode, by leaves"
set xlabel "leaves"
set logscale xy
set yrange [*:*]
plot file("encode_keys") title "keys of one table", file("encode_sequence") title "a sequence", \
  file("encode_tree") title "a tree, ten branches each"

set title "encode, by depth"
set xlabel "tables deep, 1,000 leaves"
unset logscale
set yrange [0:*]
plot file("encode_depth") title "leaves at that depth"
