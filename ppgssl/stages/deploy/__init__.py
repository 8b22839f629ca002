"""A fitted arm: made, used on new patients, validated at another place."""
