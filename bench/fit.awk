# Is a curve worse than linear? Reads "size cost" lines, the smallest size first, and prints the first and the last
# line, the exponent, and a verdict:
#
#   awk -v per_call=1 -f bench/fit.awk FILE
#
# What a curve rises by above its smallest size is fitted with a power of the size, by least squares on the logarithms
# of the larger half of the points: 1 is a straight line, 2 a square, and above 1.4 it is worse than linear. A curve that
# rises by less than a quarter is flat: 0. With per_call, the size is a number of calls and the cost that of one: fitted
# is that of all of them.
{
  size[NR] = $1
  cost[NR] = $2
  whole[NR] = per_call ? $1 * $2 : $2
}

function add(x, y) {
  count++
  sum_x += x
  sum_y += y
  sum_xx += x * x
  sum_xy += x * y
}

function slope() {
  if (count < 2) return 99 # all of the rise is in the last step
  return (count * sum_xy - sum_x * sum_y) / (count * sum_xx - sum_x * sum_x)
}

END {
  for (i = int(NR / 2) + 1; i <= NR; i++)
    if (whole[i] > whole[1]) add(log(size[i] - size[1]), log(whole[i] - whole[1]))
  exponent = whole[NR] > 1.25 * whole[1] ? slope() : 0
  verdict = exponent <= 1.4 ? "yes" : "**NO**"
  printf "%s %s %s %s %.2f %s\n", size[1], cost[1], size[NR], cost[NR], exponent, verdict
}
