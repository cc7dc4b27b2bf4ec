extension FunctionSignatures {
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
    blackman: x
    broadcast_to: x shape
    cast: x dtype
    categorical_crossentropy: target output from_logits axis
    cbrt: x
    cdist: x y
    ceil: x
    celu: x alpha
    cholesky: x upper
    cholesky_inverse: x upper
    clip: x x_min x_max
    concatenate: xs axis
    conj: x
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
    deg2rad: x
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
    dsplit: x indices_or_sections
    dstack: xs
    eig: x
    eigh: x
    einsum: subscripts operands
    elastic_transform: images alpha sigma interpolation fill_mode fill_value seed data_format
    elu: x alpha
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
    extract_patches_3d: volumes size strides dilation_rate padding data_format
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
    gelu: x approximate
    get_item: x key
    glu: x axis
    greater: x1 x2
    greater_equal: x1 x2
    hamming: x
    hanning: x
    hard_shrink: x threshold
    hard_sigmoid: x
    hard_silu: x
    hard_swish: x
    hard_tanh: x
    heaviside: x1 x2
    histogram: x bins range
    hsplit: x indices_or_sections
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
    leaky_relu: x negative_slope
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
    rad2deg: x
    ravel: x
    real: x
    rearrange: tensor pattern axes_lengths
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
    soft_shrink: x threshold
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
    squareplus: x b
    squeeze: x axis
    ssim: image1 image2 max_val filter_size filter_sigma k1 k2 data_format
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
    threshold: x threshold default_value
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
    view: x dtype
    view_as_complex: x
    view_as_real: x
    vsplit: x indices_or_sections
    vstack: xs
    where: condition x1 x2
    zeros: shape dtype
    zeros_like: x dtype
    """)
}
