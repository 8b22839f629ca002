"""Templates of the report and of the page of `ppgssl inspect`."""
