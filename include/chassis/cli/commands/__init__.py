"""The commands, one module for each kind; importing them must stay quick, because ``--help`` does."""
