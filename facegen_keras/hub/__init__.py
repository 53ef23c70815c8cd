"""Models on the Hugging Face Hub: the card that it reads, and the upload."""
