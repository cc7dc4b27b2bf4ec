extension FunctionSignatures {
  /// Functions of TensorFlow; with their module where modules differ.
  static let tensorFlow = read(
    """
    abs: x
    accumulate_n: inputs shape tensor_dtype
    acos: x
    acosh: x
    add: x y
    add_n: inputs
    adjust_brightness: image delta
    adjust_contrast: images contrast_factor
    angle: input
    argmax: input axis output_type
    argmin: input axis output_type
    argsort: values axis direction stable
    asin: x
    asinh: x
    atan: x
    atan2: y x
    atanh: x
    avg_pool: input ksize strides padding data_format
    avg_pool1d: input ksize strides padding data_format
    avg_pool2d: input ksize strides padding data_format
    avg_pool3d: input ksize strides padding data_format
    band_part: input num_lower num_upper
    batch_normalization: x mean variance offset scale variance_epsilon
    batch_to_space: input block_shape crops
    bincount: arr weights minlength maxlength dtype axis binary_output
    bitwise_and: x y
    bitwise_or: x y
    bitwise_xor: x y
    broadcast_to: input shape
    cast: x dtype
    ceil: x
    central_crop: image central_fraction
    cholesky: input
    cholesky_solve: chol rhs
    clip_by_norm: t clip_norm axes
    clip_by_value: t clip_value_min clip_value_max
    complex: real imag
    concat: values axis
    conj: x
    constant: value dtype shape
    conv2d_transpose: input filters output_shape strides padding data_format dilations
    conv_transpose: input filters output_shape strides padding data_format dilations
    convert_image_dtype: image dtype saturate
    convert_to_tensor: value dtype dtype_hint
    convolution: input filters strides padding data_format dilations
    cos: x
    cosh: x
    count_nonzero: input axis keepdims dtype
    crelu: features axis
    crop_to_bounding_box: image offset_height offset_width target_height target_width
    cross: a b
    ctc_loss: labels logits label_length logit_length logits_time_major unique blank_index
    cumprod: x axis exclusive reverse
    cumsum: x axis exclusive reverse
    cumulative_logsumexp: x axis exclusive reverse
    dct: input type n axis norm
    depth_to_space: input block_size data_format
    depthwise_conv2d: input filter strides padding data_format dilations
    det: input
    diag: diagonal k num_rows num_cols padding_value align
    diag_part: input k padding_value align
    digamma: x
    divide: x y
    divide_no_nan: x y
    dropout: x rate noise_shape seed
    eig: tensor
    eigh: tensor
    eigvalsh: tensor
    einsum: equation inputs
    elu: features
    ensure_shape: x shape
    equal: x y
    erf: x
    erfc: x
    erfinv: x
    exp: x
    expand_dims: input axis
    expm1: x
    extract_patches: images sizes strides rates padding
    eye: num_rows num_columns batch_shape dtype
    fft: input
    fft2d: input
    fill: dims value
    flip_left_right: image
    flip_up_down: image
    floor: x
    floordiv: x y
    floormod: x y
    frame: signal frame_length frame_step pad_end pad_value axis
    function: func input_signature autograph jit_compile reduce_retracing experimental_implements experimental_autograph_options experimental_attributes experimental_relax_shapes experimental_compile experimental_follow_type_hints
    gather: params indices validate_indices axis batch_dims
    gather_nd: params indices batch_dims
    gelu: features approximate
    global_norm: t_list
    grayscale_to_rgb: images
    greater: x y
    greater_equal: x y
    histogram_fixed_width: values value_range nbins dtype
    hsv_to_rgb: images
    identity: input
    identity_n: input
    ifft: input
    ifft2d: input
    imag: input
    image.transpose: image
    image_gradients: image
    in_top_k: targets predictions k
    inv: input adjoint
    invert: x
    irfft: input_tensor fft_length
    is_finite: x
    is_inf: x
    is_nan: x
    l2_loss: t
    l2_normalize: x axis epsilon dim
    leaky_relu: features alpha
    left_shift: x y
    less: x y
    less_equal: x y
    lgamma: x
    linspace: start stop num axis
    local_response_normalization: input depth_radius bias alpha beta
    log: x
    log1p: x
    log_sigmoid: x
    log_softmax: logits axis
    logdet: matrix
    logical_and: x y
    logical_or: x y
    logical_xor: x y
    lrn: input depth_radius bias alpha beta
    lstsq: matrix rhs l2_regularizer fast
    lu: input output_idx_type
    matmul: a b transpose_a transpose_b adjoint_a adjoint_b a_is_sparse b_is_sparse output_type
    matrix_rank: a tol validate_args
    matrix_transpose: a conjugate
    matvec: a b transpose_a adjoint_a a_is_sparse b_is_sparse
    max_pool: input ksize strides padding data_format
    max_pool1d: input ksize strides padding data_format
    max_pool2d: input ksize strides padding data_format
    max_pool3d: input ksize strides padding data_format
    maximum: x y
    meshgrid: args
    minimum: x y
    mod: x y
    moments: x axes shift keepdims
    multiply: x y
    multiply_no_nan: x y
    negative: x
    nextafter: x1 x2
    norm: tensor ord axis keepdims
    normalize: tensor ord axis
    not_equal: x y
    one_hot: indices depth on_value off_value axis dtype
    ones: shape dtype
    ones_like: input dtype
    overlap_and_add: signal frame_step
    pad: tensor paddings mode constant_values
    pad_to_bounding_box: image offset_height offset_width target_height target_width
    per_image_standardization: image
    pinv: a rcond validate_args
    pool: input window_shape pooling_type strides padding data_format dilations
    pow: x y
    psnr: a b max_val
    qr: input full_matrices
    range: start limit delta dtype
    rank: input
    real: input
    reciprocal: x
    reduce_all: input_tensor axis keepdims
    reduce_any: input_tensor axis keepdims
    reduce_euclidean_norm: input_tensor axis keepdims
    reduce_logsumexp: input_tensor axis keepdims
    reduce_max: input_tensor axis keepdims
    reduce_mean: input_tensor axis keepdims
    reduce_min: input_tensor axis keepdims
    reduce_prod: input_tensor axis keepdims
    reduce_std: input_tensor axis keepdims
    reduce_sum: input_tensor axis keepdims
    reduce_variance: input_tensor axis keepdims
    relu: features
    repeat: input repeats axis
    reshape: tensor shape
    resize: images size method preserve_aspect_ratio antialias
    resize_with_crop_or_pad: image target_height target_width
    reverse: tensor axis
    reverse_sequence: input seq_lengths seq_axis batch_axis
    rfft: input_tensor fft_length
    rgb_to_grayscale: images
    rgb_to_hsv: images
    rgb_to_yiq: images
    rgb_to_yuv: images
    right_shift: x y
    rint: x
    roll: input shift axis
    rot90: image k
    round: x
    rsqrt: x
    saturate_cast: value dtype
    scatter_nd: indices updates shape
    searchsorted: sorted_sequence values side out_type
    segment_mean: data segment_ids
    selu: features
    separable_conv2d: input depthwise_filter pointwise_filter strides padding data_format dilations
    sequence_mask: lengths maxlen dtype
    set_diag: input diagonal k align
    shape: input out_type
    sigmoid: x
    sigmoid_cross_entropy_with_logits: labels logits
    sign: x
    silu: features beta
    sin: x
    sinh: x
    size: input out_type
    slice: input_ begin size
    slogdet: input
    sobel_edges: image
    softmax: logits axis
    softmax_cross_entropy_with_logits: labels logits axis
    softplus: features
    softsign: features
    solve: matrix rhs adjoint
    sort: values axis direction
    space_to_batch: input block_shape paddings
    space_to_batch_nd: input block_shape paddings
    space_to_depth: input block_size data_format
    sparse_softmax_cross_entropy_with_logits: labels logits
    split: value num_or_size_splits axis num
    sqrt: x
    square: x
    squared_difference: x y
    squeeze: input axis
    ssim: img1 img2 max_val filter_size filter_sigma k1 k2 return_index_map
    stack: values axis
    stft: signals frame_length frame_step fft_length window_fn pad_end
    stop_gradient: input
    strided_slice: input_ begin end strides begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask var
    subtract: x y
    svd: tensor full_matrices compute_uv
    swish: features beta
    tan: x
    tanh: x
    tensor_diag_part: input
    tensordot: a b axes
    tile: input multiples
    top_k: input k sorted index_type
    total_variation: images
    trace: x
    transpose: a perm conjugate
    triangular_solve: matrix rhs lower adjoint
    truediv: x y
    truncatemod: x y
    unravel_index: indices dims
    unsorted_segment_mean: data segment_ids num_segments
    unstack: value num axis
    where: condition x y
    xdivy: x y
    xlog1py: x y
    xlogy: x y
    yiq_to_rgb: images
    yuv_to_rgb: images
    zero_fraction: value
    zeros: shape dtype
    zeros_like: input dtype
    """)
}
