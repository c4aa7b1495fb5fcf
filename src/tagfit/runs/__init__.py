"""One recipe after the other, trained on one lock; what is written of them."""
