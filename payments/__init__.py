"""The provider interface and one adapter per provider. Provider objects stop here: nothing outside sees one."""
