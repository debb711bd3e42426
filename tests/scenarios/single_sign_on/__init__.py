"""People sign in through a provider of OpenID Connect beside the stack."""
