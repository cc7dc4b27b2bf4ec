// GraphOptimizer
