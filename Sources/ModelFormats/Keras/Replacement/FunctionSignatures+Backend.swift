extension FunctionSignatures {
  /// Functions of `keras.backend`.
  static let backend = read(
    """
    abs: x
    all: x axis keepdims
    any: x axis keepdims
    argmax: x axis
    argmin: x axis
    batch_dot: x y axes
    batch_flatten: x
    batch_normalization: x mean var beta gamma axis epsilon
    bias_add: x bias data_format
    cast: x dtype
    clip: x min_value max_value
    concatenate: tensors axis
    constant: value dtype shape
    conv1d: x kernel strides padding data_format dilation_rate
    conv2d: x kernel strides padding data_format dilation_rate
    cos: x
    cumprod: x axis
    cumsum: x axis
    depthwise_conv2d: x depthwise_kernel strides padding data_format dilation_rate
    dot: x y
    dropout: x level noise_shape seed
    elu: x alpha
    equal: x y
    exp: x
    expand_dims: x axis
    eye: size dtype
    flatten: x
    gather: reference indices
    greater: x y
    greater_equal: x y
    hard_sigmoid: x
    l2_normalize: x axis
    less: x y
    less_equal: x y
    log: x
    logsumexp: x axis keepdims
    max: x axis keepdims
    maximum: x y
    mean: x axis keepdims
    min: x axis keepdims
    minimum: x y
    not_equal: x y
    one_hot: indices num_classes
    ones_like: x dtype
    permute_dimensions: x pattern
    pow: x a
    prod: x axis keepdims
    relu: x alpha max_value threshold
    repeat: x n
    repeat_elements: x rep axis
    reshape: x shape
    resize_images: x height_factor width_factor data_format interpolation
    reverse: x axes
    round: x
    shape: x
    sigmoid: x
    sign: x
    sin: x
    softmax: x axis
    softplus: x
    softsign: x
    spatial_2d_padding: x padding data_format
    sqrt: x
    square: x
    squeeze: x axis
    stack: x axis
    std: x axis keepdims
    stop_gradient: variables
    sum: x axis keepdims
    switch: condition then_expression else_expression
    tanh: x
    temporal_padding: x padding
    tile: x n
    transpose: x
    var: x axis keepdims
    zeros_like: x dtype
    """)
}
