"""Models: classifiers, answerers and verifiers behind the ports."""
