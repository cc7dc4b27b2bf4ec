// CImages
