/// The names of functions' arguments by position, for expressions; files name theirs.
enum FunctionSignatures {
  /// Functions of `keras.ops`.
  static let keras = read(
    """
    abs: x
    absolute: x
    adaptive_average_pool: inputs output_size data_format
    adaptive_max_pool: inputs output_size data_format
    add: x1 x2
    affine_transform: images transform interpolation fill_mode fill_value data_format
    all: x axis keepdims
    allclose: x1 x2 rtol atol equal_nan
    amax: x axis keepdims
    amin: x axis keepdims
    angle: x
    any: x axis keepdims
    append: x1 x2 axis
    arange: start stop step dtype
    arccos: x
    arccosh: x
    arcsin: x
    arcsinh: x
    arctan: x
    arctan2: x1 x2
    arctanh: x
    argmax: x axis keepdims
    argmin: x axis keepdims
    argpartition: x kth axis
    argsort: x axis
    array_split: x indices_or_sections axis
    average: x axis weights
    average_pool: inputs pool_size strides padding data_format
    batch_normalization: x mean variance axis offset scale epsilon
    binary_crossentropy: target output from_logits
    bincount: x weights minlength sparse
    bitwise_and: x y
    bitwise_invert: x
    bitwise_left_shift: x y
    bitwise_not: x
    bitwise_or: x y
    bitwise_right_shift: x y
    bitwise_xor: x y
    broadcast_to: x shape
    cast: x dtype
    categorical_crossentropy: target output from_logits axis
    cbrt: x
    cdist: x y
    ceil: x
    cholesky: x upper
    cholesky_inverse: x upper
    clip: x x_min x_max
    concatenate: xs axis
    conjugate: x
    conv: inputs kernel strides padding data_format dilation_rate
    conv_transpose: inputs kernel strides padding output_padding data_format dilation_rate
    convert_to_tensor: x dtype sparse ragged
    copy: x
    corrcoef: x
    correlate: x1 x2 mode
    cos: x
    cosh: x
    count_nonzero: x axis
    crop_images: images top_cropping left_cropping bottom_cropping right_cropping target_height target_width data_format
    cross: x1 x2 axisa axisb axisc axis
    ctc_decode: inputs sequence_lengths strategy beam_width top_paths merge_repeated mask_index
    ctc_loss: target output target_length output_length mask_index
    cumprod: x axis dtype
    cumsum: x axis dtype
    depth_to_space: x block_size data_format
    depthwise_conv: inputs kernel strides padding data_format dilation_rate
    det: x
    diag: x k
    diagflat: x k
    diagonal: x offset axis1 axis2
    diff: a n axis
    digitize: x bins
    divide: x1 x2
    divide_no_nan: x1 x2
    dot: x1 x2
    dot_product_attention: query key value bias mask scale is_causal flash_attention attn_logits_soft_cap
    eig: x
    eigh: x
    einsum: subscripts operands
    elastic_transform: images alpha sigma interpolation fill_mode fill_value seed data_format
    empty_like: x dtype
    equal: x1 x2
    erf: x
    erfc: x
    erfinv: x
    exp: x
    exp2: x
    expand_dims: x axis
    expm1: x
    extract_patches: images size strides dilation_rate padding data_format
    extract_sequences: x sequence_length sequence_stride
    eye: N M k dtype
    fabs: x
    fft: x
    fft2: x
    flip: x axis
    fliplr: x
    flipud: x
    floor: x
    floor_divide: x1 x2
    fmax: x1 x2
    fmin: x1 x2
    fmod: x1 x2
    fold: x output_size kernel_size dilation padding stride
    full: shape fill_value dtype
    full_like: x fill_value dtype
    gaussian_blur: images kernel_size sigma data_format
    gcd: x1 x2
    get_item: x key
    glu: x axis
    greater: x1 x2
    greater_equal: x1 x2
    hard_silu: x
    hard_swish: x
    heaviside: x1 x2
    histogram: x bins range
    hstack: xs
    hsv_to_rgb: images data_format
    hypot: x1 x2
    i0: x
    identity: n dtype
    ifft2: x
    imag: x
    in_top_k: targets predictions k
    inner: x1 x2
    inv: x
    irfft: x fft_length
    isclose: x1 x2 rtol atol equal_nan
    isfinite: x
    isin: x1 x2 assume_unique invert
    isinf: x
    isnan: x
    isneginf: x
    isposinf: x
    isreal: x
    istft: x sequence_length sequence_stride fft_length length window center
    kron: x1 x2
    layer_normalization: x gamma beta axis epsilon
    lcm: x1 x2
    ldexp: x1 x2
    left_shift: x y
    less: x1 x2
    less_equal: x1 x2
    linspace: start stop num endpoint retstep dtype axis
    log: x
    log10: x
    log1p: x
    log2: x
    log_sigmoid: x
    log_softmax: x axis
    logaddexp: x1 x2
    logaddexp2: x1 x2
    logdet: x
    logical_and: x1 x2
    logical_or: x1 x2
    logical_xor: x1 x2
    logsumexp: x axis keepdims
    lstsq: a b rcond
    lu_factor: x
    map_coordinates: inputs coordinates order fill_mode fill_value
    matmul: x1 x2
    matrix_rank: x tol
    max: x axis keepdims initial
    max_pool: inputs pool_size strides padding data_format
    maximum: x1 x2
    mean: x axis keepdims
    median: x axis keepdims
    meshgrid: x indexing
    min: x axis keepdims initial
    minimum: x1 x2
    mod: x1 x2
    moments: x axes keepdims synchronized
    moveaxis: x source destination
    multi_hot: inputs num_classes axis dtype sparse
    multiply: x1 x2
    nan_to_num: x nan posinf neginf
    nanargmax: x axis keepdims
    nanargmin: x axis keepdims
    nancumprod: x axis dtype
    nancumsum: x axis dtype
    nanmax: x axis keepdims
    nanmean: x axis keepdims
    nanmedian: x axis keepdims
    nanmin: x axis keepdims
    nanpercentile: x q axis method keepdims
    nanprod: x axis keepdims
    nanquantile: x q axis method keepdims
    nanstd: x axis keepdims
    nansum: x axis keepdims
    nanvar: x axis keepdims
    ndim: x
    negative: x
    nextafter: x1 x2
    norm: x ord axis keepdims
    normalize: x axis order epsilon
    not_equal: x1 x2
    one_hot: x num_classes axis dtype sparse
    ones: shape dtype
    ones_like: x dtype
    outer: x1 x2
    pad: x pad_width mode constant_values
    pad_images: images top_padding left_padding bottom_padding right_padding target_height target_width data_format
    percentile: x q axis method keepdims
    perspective_transform: images start_points end_points interpolation fill_value data_format
    pinv: x rcond
    polar: abs_ angle
    power: x1 x2
    prod: x axis keepdims dtype
    psnr: x1 x2 max_val
    ptp: x axis keepdims
    qr: x mode
    quantile: x q axis method keepdims
    ravel: x
    real: x
    reciprocal: x
    relu: x
    repeat: x repeats axis
    reshape: x newshape
    resize: images size interpolation antialias crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value data_format
    rfft: x fft_length
    rgb_to_grayscale: images data_format
    rgb_to_hsv: images data_format
    right_shift: x y
    rms_normalization: x scale axis epsilon
    roll: x shift axis
    rot90: array k axes
    round: x decimals
    rsqrt: x
    saturate_cast: x dtype
    scale_and_translate: images output_shape scale translation spatial_dims method antialias
    scatter: indices values shape
    scatter_update: inputs indices updates reduction
    searchsorted: sorted_sequence values side
    select: condlist choicelist default
    selu: x
    separable_conv: inputs depthwise_kernel pointwise_kernel strides padding data_format dilation_rate
    shape: x
    sigmoid: x
    sign: x
    signbit: x
    silu: x
    sin: x
    sinc: x
    sinh: x
    size: x
    slice: inputs start_indices shape
    slice_update: inputs start_indices updates
    slogdet: x
    sobel_edges: images data_format
    softmax: x axis
    softplus: x
    softsign: x
    solve: a b
    solve_triangular: a b lower
    sort: x axis
    space_to_depth: x block_size data_format
    sparse_categorical_crossentropy: target output from_logits axis
    sparse_plus: x
    sparse_sigmoid: x
    sparsemax: x axis
    split: x indices_or_sections axis
    sqrt: x
    square: x
    squeeze: x axis
    stack: x axis
    std: x axis keepdims
    stft: x sequence_length sequence_stride fft_length window center
    stop_gradient: variable
    subtract: x1 x2
    sum: x axis keepdims
    svd: x full_matrices compute_uv
    swapaxes: x axis1 axis2
    swish: x
    take: x indices axis
    take_along_axis: x indices axis
    tan: x
    tanh: x
    tanh_shrink: x
    tensordot: x1 x2 axes
    tile: x repeats
    top_k: x k sorted
    trace: x offset axis1 axis2
    transpose: x axes
    trapezoid: y x dx axis
    tri: N M k dtype
    tril: x k
    triu: x k
    true_divide: x1 x2
    trunc: x
    unfold: x kernel_size dilation padding stride
    unravel_index: indices shape
    unstack: x num axis
    vander: x N increasing
    var: x axis keepdims
    vdot: x1 x2
    view_as_complex: x
    view_as_real: x
    vstack: xs
    where: condition x1 x2
    zeros: shape dtype
    zeros_like: x dtype
    """)

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
    conv2d_transpose: input filters output_shape strides padding data_format dilations
    conv_transpose: input filters output_shape strides padding data_format dilations
    convert_image_dtype: image dtype saturate
    convert_to_tensor: value dtype dtype_hint
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
    irfft: input_tensor fft_length
    is_finite: x
    is_inf: x
    is_nan: x
    l2_loss: t
    l2_normalize: x axis epsilon dim
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
    split: value num_or_size_splits axis num
    sqrt: x
    square: x
    squared_difference: x y
    squeeze: input axis
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

  /// Lines of `name: first second …`.
  private static func read(_ text: String) -> [String: [String]] {
    var rows: [String: [String]] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      rows[String(parts[0])] = parts[1].split(separator: " ").map(String.init)
    }
    return rows
  }
}
