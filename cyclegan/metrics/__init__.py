"""Metrics of translation quality: FID, KID, precision, recall, SSIM, PSNR, perceptual and structure distance."""
