from paidup.cli import main

main()
