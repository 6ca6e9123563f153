"""What becomes of a calculated month: adjustments, clawbacks and holds, closing, carrying on, drift and true-up."""
