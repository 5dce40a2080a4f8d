"""Objectives: functions that return one row per case; column 0 is the cost, to be summed over cases.

The further columns are what is reported beside it; they have no gradient. Every column is summed over
the cases. What is a property of a whole minibatch (a rate, the cost of a group of cases) is spread over
the rows so that the sum is right.

A *fused* function takes the input of the softmax layer or logistic neurons that feed the cost, and its
gradient is that of cost and layer together, without a division by a probability. It is for costs that
are the only consumer of that layer. Labels and targets have no gradient.
"""
